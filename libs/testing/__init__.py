"""Test kit: contract suites, real servers, fault injection, and a harness for engines."""
