"""Durable background jobs: ``@job_type`` registers one, ``submit`` accepts it, `manage.py rqworker` carries it out."""

from perf.jobs.errors import JobFailed, JobStopped, LeaseLost, QueueFull
from perf.jobs.registry import job_type
from perf.jobs.running import RunningJob
from perf.jobs.submit import submit
from perf.models import Job

__all__ = ["Job", "JobFailed", "JobStopped", "LeaseLost", "QueueFull", "RunningJob", "job_type", "submit"]
