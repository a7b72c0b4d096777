"""
The rate limit of an account, shared by everything that uses it.

:mod:`.limiter` is what callers use, :mod:`.store` says what it needs from a store, and :mod:`.memory`, :mod:`.sqlite`
and :mod:`.redis` are the stores of one process, one machine and many machines.
"""
