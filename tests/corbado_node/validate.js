// What Corbado's Node SDK, as it is published, says of tokens: reads {frontendAPI, projectID, tokens} from stdin and
// writes {name: {userId, fullName} or {error}} to stdout. No token is written.
import { readFileSync } from "node:fs";
import { Config, SDK } from "@corbado/node-sdk";

const { frontendAPI, projectID, tokens } = JSON.parse(readFileSync(0, "utf8"));
const sdk = new SDK(new Config(projectID, "corbado1_none", frontendAPI, "https://backendapi.cloud.corbado.io"));
const said = {};
for (const [name, token] of Object.entries(tokens)) {
  try {
    said[name] = await sdk.sessions().validateToken(token);
  } catch (error) {
    said[name] = { error: error.name ?? String(error), code: error.code };
  }
}
process.stdout.write(JSON.stringify(said));
