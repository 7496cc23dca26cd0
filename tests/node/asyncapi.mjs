// Reads an AsyncAPI document with AsyncAPI's own parser, and holds messages against its schemas with a validator of JSON
// Schema.
//
// Usage: node asyncapi.mjs DOCUMENT. Standard input has one JSON object a line: {"message": NAME, "payload": …}. Prints one JSON
// object: {"complaints": […], "wrong": [for each line, what is wrong with it, or null], "document": the document, resolved}.

import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";
import Ajv from "ajv";

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
// 0 is an error, 1 a warning; the rest are suggestions.
const complaints = diagnostics
  .filter((diagnostic) => diagnostic.severity <= 1)
  .map((diagnostic) => `${diagnostic.path.join(".")}: ${diagnostic.message}`);

const wrong = [];
if (document) {
  const ajv = new Ajv({ strict: false, allErrors: true });
  const validators = new Map();
  for (const message of document.components().messages().all()) {
    validators.set(message.id(), ajv.compile(message.payload().json()));
  }
  const lines = readFileSync(0, "utf8").split("\n").filter((line) => line !== "");
  for (const line of lines) {
    const { message, payload } = JSON.parse(line);
    const validate = validators.get(message);
    wrong.push(validate(payload) ? null : ajv.errorsText(validate.errors));
  }
}
// Without the parser's notes, whose names begin so, and which refer to each other in circles.
const plain = (key, value) => (key.startsWith("x-parser-") ? undefined : value);
process.stdout.write(JSON.stringify({ complaints, wrong, document: document?.json() }, plain));
