"""What a run, an agent and the report say to each other: the job, records, and the file of records."""
