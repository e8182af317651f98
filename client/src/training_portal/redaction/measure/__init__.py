"""The measurement of redaction: texts of a second generator, scores by kind and language, speed and memory."""
