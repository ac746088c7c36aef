"""The reference platform: stood up, verified and taken down, on AWS, on Azure, or as a rehearsal on this machine."""
