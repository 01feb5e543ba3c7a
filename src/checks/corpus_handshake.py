# Asks Python's own ssl what it says of each chain, with the flags that Python 3.13's default context has: a client and a
# server in one process, over memory. Reads directories from standard input, one a line, with the host to ask for.
import ssl
import sys


def verdict(folder, host):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.set_ciphers("ALL:@SECLEVEL=0")
    server.load_cert_chain(folder + "/served.pem", folder + "/server.key")
    client = ssl.create_default_context(cafile=folder + "/given.pem")
    client.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    caller = client.wrap_bio(down, up, server_hostname=host)
    called = server.wrap_bio(up, down, server_side=True)
    for _ in range(10):
        for side in (caller, called):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                return str(error.verify_code)
            if side is caller:
                return "0"
    return "no end"


for line in sys.stdin:
    folder, host = line.split()
    try:
        print(verdict(folder, host))
    except Exception as error:
        print("failed", str(error).replace("\n", " "))
