import { greeting } from "./greeting.js";

const heading = document.createElement("h1");
heading.textContent = greeting("the front end");
document.body.append(heading);
