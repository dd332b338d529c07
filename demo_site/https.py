"""``python -m demo_site.https``: the site alone, at https://localhost:8443 (set ``PORT`` for another port).

Browsers bind sessions to keys over https alone, so ``CORBADO_SESSION_DEVICE_BINDING`` is on here. Chromium does so only
with a certificate that it takes for valid: bring your own (``DEMO_CERTIFICATE`` and ``DEMO_CERTIFICATE_KEY``, two PEM
files), or start Chromium as this says, for the one that is made on the first run.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from . import certificate, create_app
from .addresses import Addresses
from .serving import prepare_to_stop, read_addresses

PORT = 8443
CONFIG = {"CORBADO_SESSION_COOKIE_SECURE": True, "CORBADO_SESSION_DEVICE_BINDING": True}
FEATURES = "DeviceBoundSessions:RefreshQuota/false,EnableBoundSessionCredentialsSoftwareKeysForManualTesting"
"""Off by default on Linux, which has no keys but in software. The quota is of 6 proofs in 9 minutes."""


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """The other servers of the demo write no access log either."""


def main() -> None:
    """Serve the site over https until Ctrl-C or SIGTERM."""
    os.environ.setdefault("PORT", str(PORT))
    addresses = Addresses(read_addresses().port, scheme="https")
    app = create_app({**CONFIG, "DEMO_ADDRESSES": addresses})
    app.debug = False
    files = _files(Path(app.instance_path))
    if missing := [str(file) for file in files if not file.is_file()]:
        sys.exit(f"There is no file {missing[0]}: DEMO_CERTIFICATE and DEMO_CERTIFICATE_KEY name two PEM files.")
    prepare_to_stop()
    server = _listen(app, addresses.port, files)
    print(how_to_start(addresses, files[0]), flush=True)
    server.serve_forever()


def _files(instance: Path) -> tuple[Path, Path]:
    own = os.environ.get("DEMO_CERTIFICATE"), os.environ.get("DEMO_CERTIFICATE_KEY")
    return (Path(own[0]), Path(own[1])) if own[0] and own[1] else certificate.find_or_create(instance)


def _listen(app: object, port: int, files: tuple[Path, Path]) -> BaseWSGIServer:
    names = str(files[0]), str(files[1])
    try:
        return make_server("127.0.0.1", port, app, threaded=True, ssl_context=names, request_handler=_Quiet)  # type: ignore[arg-type]
    except SystemExit:  # Werkzeug has said what is wrong
        sys.exit(f"cannot listen on port {port}. Set PORT to a free port.")


def how_to_start(addresses: Addresses, shown: Path) -> str:
    """What the server says once it listens."""
    return f"""Demo site: {addresses.site}, with sessions bound to keys where a browser can. For Chromium:

  chromium --user-data-dir="$(mktemp -d)" --enable-features={FEATURES} \\
    --ignore-certificate-errors-spki-list={certificate.public_key_hash(shown)} {addresses.site}/thief

Press Ctrl-C to stop."""


if __name__ == "__main__":
    main()
