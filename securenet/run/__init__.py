"""What `make run` starts: one supervisor that owns Redis, the web server and the job workers.

Nothing in here imports Django, except `prepare` and what it runs, which are processes of their own.
"""
