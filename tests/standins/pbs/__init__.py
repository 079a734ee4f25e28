"""The command-line tools of PBS and Torque, on the processes of this machine."""
