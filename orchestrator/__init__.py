"""The running machine: it joins pools, rows, messages, workflows and plugins, and is the only one that knows them all."""
