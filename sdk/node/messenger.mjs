import egg from './messenger.js';

export const { Messenger, messenger } = egg;
export default egg;
