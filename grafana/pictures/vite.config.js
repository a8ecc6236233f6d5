import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [react()],
  define: { 'process.env': {} },
  build: { outDir: 'build', target: 'es2022', chunkSizeWarningLimit: 10000 },
});
