"""What users and machines see: human text and JSON."""
