from __future__ import annotations

exec(open("/tmp/m_probe.py").read())
