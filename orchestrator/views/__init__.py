"""What people and programs are shown: plain values, the same for the command line and for whatever comes beside it."""
