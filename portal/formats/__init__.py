"""How the admin writes dates: unmistakable everywhere, and all of them UTC."""
