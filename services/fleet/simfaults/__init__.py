"""The fleet under simulated faults: seeded, deterministic, as fast as the machine goes.

Real hosts, real recovery, the real replay source and the real paper venue run on one event loop whose time is invented
(:mod:`loop`), each with its own line to one bus (:mod:`line`, :mod:`server`). A seed decides what goes wrong and when
(:mod:`faults`, :mod:`schedule`). Every write that lands on the bus is checked against what must always hold
(:mod:`witness`, :mod:`invariants`), and the end against the same days without faults (:mod:`verdict`). What fails is
shrunk to the faults that matter and printed as one command (:mod:`shrink`, :mod:`sweep`).
"""
