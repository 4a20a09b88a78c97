KNOWN = ()
Known = None
