"""The part of JSON Schema 2020-12 that the schemas of kycbridge use. A word that it does not know is an error."""

import datetime
import re
import uuid

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
NOTES = {"$schema", "$id", "$comment", "$defs", "title", "description", "examples", "example", "default",
         "contentEncoding", "contentMediaType", "writeOnly", "readOnly", "deprecated"}


def is_instant(text):
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", text):
        return False
    return bool(datetime.datetime.fromisoformat(text[:19]))


FORMATS = {
    "date-time": is_instant,
    "date": lambda text: bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text) and datetime.date.fromisoformat(text)),
    "uuid": lambda text: str(uuid.UUID(text)) == text,
    "uri": lambda text: re.match(r"[a-z][a-z0-9+.-]*:", text),
}


def is_type(name, value):
    if name in ("integer", "number"):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and (name == "number" or value == int(value))
    return isinstance(value, TYPES[name])


def has_format(name, value):
    try:
        return not isinstance(value, str) or FORMATS[name](value)
    except ValueError:
        return False


class Schemas:
    """Documents by their address: that of $id, or a name of the caller's."""

    def __init__(self, **documents):
        self.documents = documents | {d["$id"]: d for d in documents.values() if "$id" in d}

    def resolve(self, base, reference):
        address, _, pointer = reference.partition("#")
        base = address or base
        node = self.documents[base]
        for part in pointer.strip("/").split("/") if pointer else []:
            node = node[part.replace("~1", "/").replace("~0", "~")]
        return base, node

    def faults(self, base, schema, value, at=""):
        """Every place where a value is not as its schema says."""
        if isinstance(schema, bool):
            return [] if schema else [f"{at}: is not allowed"]
        out = []
        for word, want in schema.items():
            if word not in NOTES and not word.startswith("x-"):
                out += getattr(self, "_" + word.replace("$", ""))(base, want, value, at, schema)
        return out

    def valid(self, base, schema, value):
        return not self.faults(base, schema, value)

    def _ref(self, base, want, value, at, _):
        return self.faults(*self.resolve(base, want), value, at)

    def _type(self, _base, want, value, at, _):
        names = want if isinstance(want, list) else [want]
        return [] if any(is_type(n, value) for n in names) else [f"{at}: {value!r} is no {want}"]

    def _enum(self, _base, want, value, at, _):
        return [] if value in want else [f"{at}: {value!r} is not one of {want}"]

    def _const(self, _base, want, value, at, _):
        return [] if value == want else [f"{at}: {value!r} is not {want!r}"]

    def _pattern(self, _base, want, value, at, _):
        return [f"{at}: {value!r} is not {want}"] if isinstance(value, str) and not re.search(want, value) else []

    def _format(self, _base, want, value, at, _):
        return [] if has_format(want, value) else [f"{at}: {value!r} is no {want}"]

    def _required(self, _base, want, value, at, _):
        return [f"{at}/{name}: is missing" for name in want if isinstance(value, dict) and name not in value]

    def _properties(self, base, want, value, at, _):
        if not isinstance(value, dict):
            return []
        return [f for k, s in want.items() if k in value for f in self.faults(base, s, value[k], f"{at}/{k}")]

    def _additionalProperties(self, base, want, value, at, schema):  # noqa: N802 (the schema's word)
        if not isinstance(value, dict):
            return []
        more = [k for k in value if k not in schema.get("properties", {})]
        return [f for k in more for f in self.faults(base, want, value[k], f"{at}/{k}")]

    def _items(self, base, want, value, at, _):
        if not isinstance(value, list):
            return []
        return [f for i, v in enumerate(value) for f in self.faults(base, want, v, f"{at}/{i}")]

    def _allOf(self, base, want, value, at, _):  # noqa: N802
        return [f for s in want for f in self.faults(base, s, value, at)]

    def _anyOf(self, base, want, value, at, _):  # noqa: N802
        return [] if any(self.valid(base, s, value) for s in want) else [f"{at}: {value!r} is none of {want}"]

    def _oneOf(self, base, want, value, at, _):  # noqa: N802
        return [] if sum(self.valid(base, s, value) for s in want) == 1 else [f"{at}: {value!r} is not one of {want}"]

    def _not(self, base, want, value, at, _):
        return [f"{at}: is what it must not be"] if self.valid(base, want, value) else []

    def _if(self, base, want, value, at, schema):
        branch = schema.get("then" if self.valid(base, want, value) else "else", True)
        return self.faults(base, branch, value, at)

    def _then(self, *_):
        return []  # belongs to "if"

    _else = _then

    def _minimum(self, _base, want, value, at, _):
        return [f"{at}: {value} is less than {want}"] if is_type("number", value) and value < want else []

    def _maximum(self, _base, want, value, at, _):
        return [f"{at}: {value} is more than {want}"] if is_type("number", value) and value > want else []

    def _minLength(self, _base, want, value, at, _):  # noqa: N802
        return [f"{at}: is too short"] if isinstance(value, str) and len(value) < want else []

    def _maxLength(self, _base, want, value, at, _):  # noqa: N802
        return [f"{at}: is too long"] if isinstance(value, str) and len(value) > want else []

    def _minItems(self, _base, want, value, at, _):  # noqa: N802
        return [f"{at}: has too few"] if isinstance(value, list) and len(value) < want else []

    def _maxItems(self, _base, want, value, at, _):  # noqa: N802
        return [f"{at}: has too many"] if isinstance(value, list) and len(value) > want else []

    def _minProperties(self, _base, want, value, at, _):  # noqa: N802
        return [f"{at}: has too few members"] if isinstance(value, dict) and len(value) < want else []
