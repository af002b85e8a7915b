export const greeting = (who) => `Hello from ${who}!`;
