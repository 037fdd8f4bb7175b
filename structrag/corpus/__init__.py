"""Documents in: reading files, finding their structure, splitting them, and keeping them in a corpus folder."""
