"""A medical certificate of one page, as small as a PDF can be."""

_LINES = (
    "MEDICAL CERTIFICATE",
    "Rural Health Unit, Maigo, Lanao del Norte",
    "Acute fever. Two days of rest are advised.",
)
_FONT = b"<< /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"


def certificate_pdf() -> bytes:
    text = " ".join(f"({line}) Tj 0 -24 Td" for line in _LINES)
    stream = f"BT /F1 14 Tf 72 700 Td {text} ET".encode()
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font %s >> >>" % _FONT,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
    )
    document, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(document))
        document += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    count = len(objects) + 1
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, len(document))
    return document + b"xref\n0 %d\n0000000000 65535 f \n" % count + table + trailer
