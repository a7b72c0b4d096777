"""Sensors for HelpCrunch."""
