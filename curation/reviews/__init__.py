"""What people decided about samples: their decisions as files, as a table, as a verdict, and audits of the release."""
