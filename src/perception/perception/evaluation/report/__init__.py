"""What people look at: the report of an evaluation, its charts and its pictures."""
