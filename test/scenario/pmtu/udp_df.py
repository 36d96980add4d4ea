"""udp_df.py serve ADDR | send ADDR SIZE: datagrams that may not be fragmented; the server answers with the size it got. Sends with SIZE
bytes of IP packet first, and with what the system says that fits from then on. Prints the size that was answered."""
import errno
import socket
import sys

how, addr = sys.argv[1:3]
v6 = ":" in addr
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
level, discover, mtu, headers = (41, 23, 24, 48) if v6 else (0, 10, 14, 28)
if how == "serve":
    s.bind((addr, 7200))
    print("bound", flush=True)
    s.settimeout(15)
    while True:
        data, who = s.recvfrom(65535)
        s.sendto(str(len(data) + headers).encode(), who)
s.setsockopt(level, discover, 2)  # DF, and never larger than the path MTU
s.connect((addr, 7200))
s.settimeout(0.4)
size = int(sys.argv[3])
for _ in range(12):
    try:
        s.send(bytes(size - headers))
        print(s.recv(100).decode())
        sys.exit(0)
    except TimeoutError:
        pass
    except OSError as e:
        if e.errno != errno.EMSGSIZE:
            raise
        size = min(size, s.getsockopt(level, mtu))
sys.exit("no answer, last size %d" % size)
