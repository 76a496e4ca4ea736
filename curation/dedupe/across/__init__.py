"""Work across several data sets: decontamination, verdicts, cluster pages."""
