"""Describes in words why a connection failed, without host, URL or anything that was sent."""

import errno
import os
import re
import socket
import ssl

import aiohttp

_BY_ERRNO = {
    errno.ECONNREFUSED: "the connection is refused: nothing listens on that port",
    errno.ECONNRESET: "the other side reset the connection",
    errno.ECONNABORTED: "the connection was aborted",
    errno.EPIPE: "the other side closed the connection",
    errno.EHOSTUNREACH: "there is no route to the host",
    errno.ENETUNREACH: "the network is unreachable",
    errno.ENETDOWN: "the network is down",
    errno.ETIMEDOUT: "the host does not answer",
    errno.EMFILE: "this process has too many files open",
    errno.ENFILE: "this machine has too many files open",
}
# Some libraries raise these without an errno.
_NUMBERS = (
    (ConnectionRefusedError, errno.ECONNREFUSED),
    (ConnectionResetError, errno.ECONNRESET),
    (BrokenPipeError, errno.EPIPE),
)
_UNKNOWN_HOST = "no address is known for the host name: is it spelt right?"
_NO_DNS = "the host name can't be looked up: the name server does not answer"
# OpenSSL's reasons for bytes that are not TLS.
_NO_TLS = frozenset(
    {
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "HTTPS_PROXY_REQUEST",
        "UNKNOWN_PROTOCOL",
        "PACKET_LENGTH_TOO_LONG",
        "RECORD_LAYER_FAILURE",
        "UNEXPECTED_MESSAGE",
    }
)
_OLD_TLS = frozenset({"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "VERSION_TOO_LOW"})
# X509_V_ERR_…: what is wrong with a certificate.
_CERTIFICATES = {
    9: "its TLS certificate is not valid yet: is the clock of this machine right?",
    10: "its TLS certificate has expired",
    18: "its TLS certificate is self-signed and not trusted here",
    19: "its TLS certificate ends in a root that is not trusted here",
    20: "its TLS certificate is signed by an authority that is not trusted here",
    21: "its TLS certificate is signed by an authority that is not trusted here",
    62: "its TLS certificate is for another host name",
    64: "its TLS certificate is for another address",
}
# The first match counts: a subclass comes before its base.
_BY_KIND: dict[type[BaseException], str] = {
    TimeoutError: "no answer in time",
    aiohttp.ServerDisconnectedError: "the server closed the connection without an answer",
    aiohttp.ClientPayloadError: "the answer is cut off, or can't be unpacked",
    aiohttp.InvalidURL: "its URL can't be used",
    aiohttp.NonHttpUrlClientError: "its URL can't be used",
    aiohttp.ClientResponseError: "the other side does not speak HTTP",
    UnicodeError: "its host name can't be used",
}
_ERRNO = re.compile(r"\[Errno (\d{1,5})\]")


def failure(error: BaseException) -> str:
    """Return what went wrong as a clause; for an unknown error, its type's name."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answers HTTP {error.status}"
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return f"the proxy can't be reached: {_cause(error.os_error)}"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _cause(error.certificate_error)
    if isinstance(error, aiohttp.ClientConnectorError):
        return _cause(error.os_error)
    return _cause(error)


def _cause(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        error = error.os_error
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATES.get(error.verify_code, "its TLS certificate is not trusted here")
    if isinstance(error, ssl.SSLError):
        return _tls(error)
    if isinstance(error, socket.gaierror):
        return _NO_DNS if error.errno == socket.EAI_AGAIN else _UNKNOWN_HOST
    for kind, words in _BY_KIND.items():
        if isinstance(error, kind):
            return words
    return _system(error) if isinstance(error, OSError) else type(error).__name__


def _tls(error: ssl.SSLError) -> str:
    reason = getattr(error, "reason", None) or ""
    if reason in _NO_TLS:
        return "the server does not speak TLS on this port: http:// or another port?"
    if reason in _OLD_TLS:
        return "the server speaks no version of TLS that is safe"
    words = re.sub(r"[^A-Za-z0-9]+", " ", reason).strip().lower()
    return "no TLS connection could be agreed on" + (f" ({words})" if words else "")


def _system(error: OSError) -> str:
    number = error.errno or next((no for kind, no in _NUMBERS if isinstance(error, kind)), None)
    if number is None:  # several addresses, each with a failure of its own
        found = _ERRNO.search(str(error))
        number = int(found[1]) if found else None
    if number is None or number <= 0:
        return type(error).__name__
    return _BY_ERRNO.get(number) or os.strerror(number)
