"""
Rate limiter of an account, shared by everything that uses the account.

Callers use :mod:`.limiter`. :mod:`.store` is the contract of its stores, and :mod:`.memory`, :mod:`.sqlite` and
:mod:`.redis` are those of one process, one machine and many machines.
"""
