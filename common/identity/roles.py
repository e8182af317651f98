"""The names of the roles. docs/reference/roles.md says what they mean; each app declares what a role may (`brings.py`)."""

PRIVACY_OFFICER = "Privacy officer"
ML_ENGINEER = "ML engineer"
AUDITOR = "Auditor"
ADMINISTRATOR = "Administrator"
PRODUCT = "Product service"

NAMES = (PRIVACY_OFFICER, ML_ENGINEER, AUDITOR, ADMINISTRATOR, PRODUCT)
