"""Take syslog over TCP, TLS and UDP, and send it on as envelopes; what a drain wrote becomes again what it was."""

from metron.sources.syslog.config import SyslogReceiver
from metron.sources.syslog.receiver import receive_syslog

__all__ = ["SyslogReceiver", "receive_syslog"]
