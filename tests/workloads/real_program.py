"""What runs in the place of the image test/program: tells where it is, then serves, fails or won't end."""

import http.server
import os
import signal
import sys


def main() -> None:
    print("kubeconfig", os.environ["KUBECONFIG"], flush=True)
    print("arguments", *sys.argv[1:], "secret", os.environ.get("SECRET"), "home", os.environ.get("HOME"), flush=True)
    print("cloud", *(name for name in os.environ if name.startswith("AWS_")), flush=True)
    match sys.argv[1]:
        case "fail":
            print("no", file=sys.stderr)
            sys.exit(3)
        case "end":
            return
        case "stay":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
    address = os.environ["POD_IP"], int(sys.argv[2])
    with http.server.ThreadingHTTPServer(address, Pages) as server:
        print("serving", flush=True)
        server.serve_forever()


class Pages(http.server.BaseHTTPRequestHandler):
    """Answers everything, but /broken."""

    def do_GET(self) -> None:
        self.send_response(500 if self.path == "/broken" else 200)
        self.end_headers()
        self.wfile.write(b"real\n")

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    main()
