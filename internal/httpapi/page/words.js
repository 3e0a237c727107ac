// Describes inputs in words. The types are those of the JSON in a request.

/** The type of a value in a word or a few. */
function kindOf(property) {
  if (property["x-cog-any"]) return "any value";
  if (property.enum) return oneOf(property.enum.map(typeOfValue));
  if (isFile(property)) return "file";
  if (isSecret(property)) return "secret";
  const members = property.anyOf ?? property.oneOf;
  if (members) return oneOf(members.map(kindOf));
  if (property.type === "array")
    return property.items ? `list of ${kindOf(property.items)}` : "list";
  if (property.type === "object") return objectKind(property);
  return property.type ?? "any value";
}

const isFile = (property) => property.format === "uri" && !property["x-cog-url"];
const isSecret = (property) => Boolean(property["x-cog-secret"]) || property.format === "password";

/** Different words, joined by "or". */
const oneOf = (kinds) => [...new Set(kinds)].join(" or ");

function typeOfValue(value) {
  if (value === null) return "null";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
}

function objectKind({ properties, required = [], additionalProperties }) {
  if (!properties)
    return additionalProperties?.type ? `object of ${kindOf(additionalProperties)}` : "object";
  const members = Object.entries(properties).map(([name, member]) => {
    const kind = member.type === "object" ? "object" : kindOf(member);
    return `${name} (${kind}${required.includes(name) ? "" : ", optional"})`;
  });
  return `object with ${members.join(", ")}`;
}

/** Limits in words: "1 to 9", "at most 3 items"; null without limits. */
function range(least, most, noun = "") {
  const counted = (n) => (noun ? `${n} ${noun}${n === 1 ? "" : "s"}` : String(n));
  if (least !== undefined && least === most) return `exactly ${counted(least)}`;
  if (least !== undefined && most !== undefined) return `${least} to ${counted(most)}`;
  if (least !== undefined) return `at least ${counted(least)}`;
  return most === undefined ? null : `at most ${counted(most)}`;
}

/** The rules for a single value in addition to its type. */
function rules({ minimum, maximum, minLength, maxLength, pattern, enum: choices }) {
  return [
    choices && `one of ${choices.length}`,
    range(minimum, maximum),
    range(minLength, maxLength, "character"),
    pattern && `matches ${pattern}`,
  ].filter(Boolean);
}

/** The type and the rules of a value, in a line. */
function hint(property) {
  const list = property.type === "array";
  const each = list
    ? rules(property.items ?? {}).map((rule, i) => (i ? rule : `each ${rule}`))
    : rules(property);
  return [
    kindOf(property),
    list && range(property.minItems, property.maxItems, "item"),
    ...each,
    !property.isRequired && (property.nullable || property.default === undefined)
      ? "optional"
      : null,
    property.deprecated ? "deprecated" : null,
  ]
    .filter(Boolean)
    .join(", ");
}
