"""What runs inside jobs: started by command line, never imported by what submits it."""
