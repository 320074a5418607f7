"""Access to AWS services and what their errors mean."""
