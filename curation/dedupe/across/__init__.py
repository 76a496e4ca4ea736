"""What spans several data sets: decontamination, verdicts, pages."""
