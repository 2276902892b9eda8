"""Exim 4.96 (Debian 12's light daemon).

Delivery by appendfile into one maildir, one file for each recipient.  In
front of the message it puts Return-path, Envelope-to and Received, and it
changes nothing else.

    acl, routers, transports   lines of those parts of its configuration
"""

from mta.base import Mta, TLS_CERT, TLS_KEY


class Exim(Mta):
    name = "exim"
    adds = ("Return-Path", "Envelope-To", "Received")
    accepted = r" <= \S+ "

    CONFIG = """
primary_hostname = {hostname}
exim_user = Debian-exim
exim_group = Debian-exim
domainlist local_domains = {domain}
daemon_smtp_ports = {port}
local_interfaces = <; {interfaces}
disable_ipv6 = false
acl_smtp_rcpt = acl_rcpt
log_file_path = syslog
syslog_timestamp = false
syslog_duplication = false
message_logs = false
spool_directory = /var/spool/exim4
message_size_limit = {max_size}
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 0
rfc1413_query_timeout = 0s
{tls}
keep_environment =
add_environment = PATH=/usr/bin:/bin
{extra}

begin acl
acl_rcpt:
  accept domains = +local_domains
{acl}  deny   message = relay not permitted

begin routers
{routers}
box:
  driver = accept
  domains = +local_domains
  transport = box

begin transports
{transports}
box:
  driver = appendfile
  directory = /srv/mail
  maildir_format
  create_directory = false
  return_path_add
  envelope_to_add
  user = box
  group = box
  mode = 0644

begin retry
* * F,1h,10s
"""

    # Its name for STARTTLS, and what it takes with it.
    TLS = """tls_advertise_hosts = *
tls_certificate = %s
tls_privatekey = %s
log_selector = +tls_cipher +tls_sni +incoming_port
""" % (TLS_CERT, TLS_KEY)

    def __init__(self, acl="", routers="", transports="", **kw):
        super().__init__(**kw)
        self.more = {"acl": acl, "routers": routers,
                     "transports": transports}

    def files(self):
        return {
            "/etc/exim4/exim4.conf": self.CONFIG.format(
                hostname=self.hostname, domain=self.domain, port=self.port,
                interfaces=" ; ".join(self.addresses), extra=self.extra,
                max_size=self.max_size, **self.more,
                tls="tls_advertise_hosts =" if self.tls is None
                else self.TLS),
        }

    def command(self):
        return ("mkdir -p /var/spool/exim4\n"
                "chown 902:902 /var/spool/exim4\n"
                "[ ! -e %s ] || chown 902 %s\n"
                "exec /usr/sbin/exim4 -bdf -q1m\n" % (TLS_KEY, TLS_KEY))
