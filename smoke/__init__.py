"""Black-box check of a deployed base URL. Sees the services over the wire only: no Django, no database."""

SCHEMA = "rgms.smoke/1"
