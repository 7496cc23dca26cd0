// Holds commit statuses against GitHub's own description of its API.
//
// Reads one JSON body a line from standard input; writes one JSON line for each: the list of what is wrong with it, which is
// empty where nothing is. Properties that the description does not name are wrong. The lengths are GitHub's too, but only
// its documentation in words has them.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import Ajv from "ajv";

const file = createRequire(import.meta.url).resolve("@octokit/openapi/generated/api.github.com.deref.json");
const described = JSON.parse(readFileSync(file, "utf8"));
const operation = described.paths["/repos/{owner}/{repo}/statuses/{sha}"].post;
const schema = operation.requestBody.content["application/json"].schema;
const validate = new Ajv({ strict: false, allErrors: true }).compile({ ...schema, additionalProperties: false });

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const body = JSON.parse(line);
  const problems = validate(body) ? [] : validate.errors.map((error) => `${error.instancePath} ${error.message}`);
  if ([...(body.description ?? "")].length > 140) problems.push("the description is too long");
  console.log(JSON.stringify(problems));
}
