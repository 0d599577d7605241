"""What a page is made of."""

from html.parser import HTMLParser

VOID = {"meta", "img", "br", "line", "path", "polyline"}


class Structure(HTMLParser):
    """Collects what a page refers to and checks that its tags are balanced."""

    def __init__(self):
        super().__init__()
        self.open, self.references, self.images = [], [], []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.references += [values[key] for key in ("src", "href", "srcset", "data", "action") if key in values]
        self.images += [values] if tag == "img" else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    @classmethod
    def of(cls, page):
        structure = cls()
        structure.feed(page)
        return structure
