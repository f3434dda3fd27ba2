export type { Environment } from '../reading/substitution.ts';
export { apiKeyOfEnvironment } from './api-key-variable.ts';
export { type Credentials, readCredentials, type UserCredentials, updateCredentials } from './credentials.ts';
export {
  createDeviceIdentity,
  type DeviceRelay,
  type DeviceState,
  ensureDeviceState,
  readDeviceState,
  updateDeviceState,
} from './device-state.ts';
export { readUserConfig, type UserConfig, updateUserConfig } from './user-config.ts';
export { ensureUserFolder, type UserFolderSources, userFolder } from './user-folder.ts';
