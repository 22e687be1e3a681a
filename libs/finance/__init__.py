"""Pure domain mathematics that two or more engines need; one module a concept, no state, no I/O."""
