"""The admin pages of perf, one module per model or page."""

from perf.admin.access_rules import AccessRuleAdmin
from perf.admin.cache_policies import CachePolicyAdmin
from perf.admin.job_policies import JobPolicyAdmin
from perf.admin.jobs import JobAdmin
from perf.admin.live import live_response
from perf.admin.queues import GuardedQueueAdmin
from perf.admin.rate_limit_policies import RateLimitPolicyAdmin
from perf.admin.revisions import RevisionAdmin
from perf.admin.try_it import TryItForm

__all__ = [
    "AccessRuleAdmin",
    "CachePolicyAdmin",
    "GuardedQueueAdmin",
    "JobAdmin",
    "JobPolicyAdmin",
    "RateLimitPolicyAdmin",
    "RevisionAdmin",
    "TryItForm",
    "live_response",
]
