"""What a person may do, whatever they do it by: the command line and the REST API ask for the same things by the same functions."""
