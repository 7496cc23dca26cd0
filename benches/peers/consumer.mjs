// A consumer such as people write: it reads GitLab's events from a queue and posts a line to each project's webhook.
// It waits as `Retry-After` says, gives up after five attempts, and acknowledges when the webhook has taken the message.
import { readFileSync } from "node:fs";
import amqplib from "amqplib";
import { Agent, request } from "undici";

const orders = JSON.parse(readFileSync(process.argv[2], "utf8"));
const dispatcher = new Agent({ connections: orders.in_flight, keepAliveTimeout: 30_000 });
const ATTEMPTS = 5;

const author = (event) => event.user_name ?? event.user?.name;
const text = (event) => {
  const { object_attributes: of = {}, project } = event;
  switch (event.object_kind) {
    case "push":
    case "tag_push":
      return `${author(event)} pushed ${event.commits?.length ?? 0} commits to ${event.ref} of ${project.name}`;
    case "pipeline":
      return `${project.name}: pipeline #${of.id} of ${author(event)} ${of.status}`;
    default:
      return `${author(event)} ${of.action ?? "changed"} ${event.object_kind} <${of.url}|${of.title ?? ""}> in ${project.name}`;
  }
};

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function post(url, body) {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    let wait = 1000 * 2 ** (attempt - 1);
    try {
      const answer = await request(url, {
        method: "POST", headers: { "content-type": "application/json" }, body, dispatcher,
      });
      await answer.body.dump();
      if (answer.statusCode < 300) return;
      if (answer.statusCode < 500 && answer.statusCode !== 429) break;
      wait = 1000 * (Number(answer.headers["retry-after"]) || wait / 1000);
    } catch (error) {
      console.error(String(error));
    }
    await sleep(wait);
  }
  console.error(`given up: ${url}`);
}

const connection = await amqplib.connect(orders.broker);
const channel = await connection.createChannel();
await channel.prefetch(orders.in_flight);
const { consumerTag } = await channel.consume(orders.queue, async (message) => {
  if (message === null) return;
  const event = JSON.parse(message.content.toString());
  const url = orders.addresses[(event.project_id ?? event.project.id) - 1];
  if (url) await post(url, JSON.stringify({ text: text(event) }));
  channel.ack(message);
});

process.on("SIGTERM", async () => {
  await channel.cancel(consumerTag);
  await sleep(200);
  await connection.close();
  process.exit(0);
});
