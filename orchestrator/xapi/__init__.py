"""The pool over XenAPI: one shared session, calls that are never sent twice, and every failure one of a few named errors."""
