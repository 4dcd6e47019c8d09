"""Response caching by policy: ``@cache_api_response`` on views, ``invalidate`` for what changed."""

from perf.caching.decorator import cache_api_response
from perf.caching.invalidation import invalidate

__all__ = ["cache_api_response", "invalidate"]
