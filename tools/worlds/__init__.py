"""Small worlds: random histories, played through the portal and judged by an evaluator that shares nothing with it."""
