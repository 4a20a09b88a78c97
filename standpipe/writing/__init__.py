"""What the commands share that send: lines and values made into envelopes, and the way to the agent."""
