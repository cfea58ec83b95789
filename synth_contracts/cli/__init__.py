"""The command line: parse, call, print, exit code. No business here, no heavy import at the top."""
