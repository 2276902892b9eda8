"""The real mail servers that the system tests put at either end."""
